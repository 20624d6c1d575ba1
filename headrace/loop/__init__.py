"""The production spine: jobs that read the log, judge and decide, run by one controller process."""
