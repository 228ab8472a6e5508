"""The adapter that is trained and the frozen base that it steers."""
