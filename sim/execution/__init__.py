"""Where units are run: in this process, in processes of this machine, on a Dask cluster; and the driver's loop.

To add an executor, subclass `Executor` and give it a way in on the command line.
"""
