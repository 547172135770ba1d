"""A reader for every format that holds records: each opens a file at its beginning and gives a `Table`."""
