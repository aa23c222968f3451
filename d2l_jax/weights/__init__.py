"""A model's variables under the names and in the layout of PyTorch's state_dict."""
