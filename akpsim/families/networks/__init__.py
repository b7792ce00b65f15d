"""Trunks (torchvision networks by name) and the dense head."""
