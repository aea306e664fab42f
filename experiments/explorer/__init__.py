"""The Shift Explorer's assets: trained models and photographs as files that a web page reads."""
