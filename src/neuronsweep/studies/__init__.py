"""The claims of the articles and the gallery, built on the package as a study of a user would be."""
