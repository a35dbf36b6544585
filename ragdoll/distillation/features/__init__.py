"""The features folder: writing it by a teacher, reading it for training."""
