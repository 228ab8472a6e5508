"""A batch holds the embeddings of the files, padded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from covergen_cli.audio.embedding_file import write_embedding
from covergen_cli.errors import InputError
from covergen_cli.training import embedding_cache as module
from covergen_cli.training.embedding_cache import prepare_embeddings
from training_data import drain


def prepare(pairs):
    return drain(prepare_embeddings(pairs))


def test_a_batch_is_the_files_padded_with_zeros(pairs):
    embeddings, _ = prepare(pairs)
    batch, lengths = embeddings.batch([5, 0, 1])
    wanted = [torch.from_numpy(np.load(pairs[index].embedding)) for index in (5, 0, 1)]
    assert lengths.tolist() == [len(embedding) for embedding in wanted] == [5, 3, 4]
    assert batch.shape == (3, 5, 512)
    for row, embedding in zip(batch, wanted, strict=True):
        assert torch.equal(row[: len(embedding)], embedding)
        assert not row[len(embedding) :].any()


def test_only_what_is_new_is_packed(pairs):
    assert prepare(pairs[:4])[1][-1].total == 4
    assert prepare(pairs)[1][-1].total == 6
    assert prepare(pairs)[1] == []
    write_embedding(pairs[0].embedding, np.ones((9, 512), np.float32))
    embeddings, events = prepare(pairs)
    assert events[-1].total == 1
    assert torch.equal(embeddings.batch([0])[0], torch.ones(1, 9, 512))


def test_many_are_packed_in_parts(pairs, monkeypatch):
    monkeypatch.setattr(module, "_PART", 4)
    embeddings, events = prepare(pairs)
    assert [event.done for event in events] == [0, 4, 8, 10]
    for index, pair in enumerate(pairs):
        assert torch.equal(embeddings.batch([index])[0][0], torch.from_numpy(np.load(pair.embedding)))


def test_numbers_that_are_not_finite_are_refused(pairs):
    embedding = np.zeros((3, 512), np.float32)
    embedding[1, 7] = np.nan
    write_embedding(pairs[0].embedding, embedding)
    with pytest.raises(InputError, match=r"p0.npy.*not finite"):
        prepare(pairs)
