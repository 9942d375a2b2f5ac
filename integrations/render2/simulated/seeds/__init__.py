"""The initial data of a simulated account.

The data depends only on the account's name, so it is the same at each start. In every account, the first service,
cron job, deploy, job and data store have the short ids that the documentation uses, such as ``srv-cabc12345678``.
"""
