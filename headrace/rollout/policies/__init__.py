"""Policies that move the shares of arms by what each has earned: one file each."""
