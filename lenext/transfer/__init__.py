"""Transfer: what networks have learned of other images, judged, kept and used for these."""
