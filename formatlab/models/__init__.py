"""The scale ladder, and pretrained models from outside."""
