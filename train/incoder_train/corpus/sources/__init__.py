"""Where documents come from, one room for each way in: archives of package registries, folders and git checkouts, tables of
files. All yield documents in a fixed order, execute nothing, and count in `dropped` what they pass over, by reason."""
