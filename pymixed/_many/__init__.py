"""Many responses, one design: what `pymixed.many` is made of."""
