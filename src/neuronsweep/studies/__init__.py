"""Studies built on the product as a user's own would be: the articles' claims and the gallery."""
