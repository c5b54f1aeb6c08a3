"""Fitting a policy's head (fusion, LSTM, MLP) on recordings, with the towers frozen. Import from the modules."""
