"""Running the parts of a study, side by side, and showing how far they are."""
