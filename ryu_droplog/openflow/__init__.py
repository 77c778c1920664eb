"""All that speaks to the switch."""
