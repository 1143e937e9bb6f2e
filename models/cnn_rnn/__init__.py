"""The CNN-RNN of Khaki et al. for crop yields."""
