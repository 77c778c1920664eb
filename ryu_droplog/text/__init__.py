"""How text is made fit for people: escaped, on one line, with its plurals."""
