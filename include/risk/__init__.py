"""Pure rules that decide whether an order may be sent and how large it may be. No I/O, no clock, no pandas."""
