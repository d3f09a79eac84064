"""The local way to run a loop: a GitHub, the App and one runner in one process, joined by HTTP, git and signed webhooks.

Only this room knows that it is a demonstration. It plays the owner of the repository (who pushes, configures and installs)
and the machine with the runner; everything else is the product.
"""
