"""Places that documents come from: folders, datasets, packages, standard input."""
