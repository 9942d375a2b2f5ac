"""What an account holds at the start, always the same.

Everything is a function of the account's name and of counting numbers. The first service, cron job, deploy, job and
store of every account have the short ids that documentation uses, such as ``srv-cabc12345678``.
"""
