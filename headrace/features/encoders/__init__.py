"""The encoders, one short file each: `fit`, `names`, and `nodes` or `bags`."""
