"""What everything speaks: drops and where they happened, cookies, books, errors. Data only."""
