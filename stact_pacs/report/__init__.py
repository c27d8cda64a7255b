"""People read what happened: the page of each case, the list of cases, pictures and charts."""
