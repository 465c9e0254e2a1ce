"""JupyterLab without phoning home: `make lab` starts it with this file."""

c = get_config()  # noqa: F821 - Jupyter provides it
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
# The extension panel would ask the package index for a listing.
c.LabApp.extension_manager = "readonly"
