"""Sources of pairs: tables of URLs, folders of tagged music, synthetic pairs."""
