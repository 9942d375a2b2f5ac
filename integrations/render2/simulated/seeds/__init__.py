"""The initial data of an account, which is always the same.

All data depends only on the account's name and on consecutive numbers. The first service, cron job, deploy, job and
data store of every account have the short ids that documentation uses, such as ``srv-cabc12345678``.
"""
