"""Label maps and masks as labelling tools and data sets write them: which file belongs to what, and what it means."""
