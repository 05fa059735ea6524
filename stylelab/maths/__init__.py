"""Pure functions on images and feature maps that several methods share."""
