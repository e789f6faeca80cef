"""Layer 6: exchange rate, mixture, order, credit."""
