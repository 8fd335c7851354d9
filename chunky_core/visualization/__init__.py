"""Pictures for the eye: sheets, captions, outlines and curves."""
