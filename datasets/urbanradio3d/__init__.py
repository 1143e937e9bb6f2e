"""Volumes of UrbanRadio3D, read from a folder of the user's."""
