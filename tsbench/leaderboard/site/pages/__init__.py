"""Pages of the site: what each template is given, as a pure function of views and declarations."""
