"""Models of spectra, all behind one contract."""
