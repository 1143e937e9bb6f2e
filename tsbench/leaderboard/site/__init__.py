"""The pages: templates, one style sheet, one small script, and the functions that fill them."""
