"""The one mechanism for declared settings: words that mean yes, "did you mean", kinds of values, tables. Pure."""
