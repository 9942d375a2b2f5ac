"""The website for the people of a tenant: approvals, runs, documentation, a playground, accounts and insights.

All pages are rendered on the server, and work without JavaScript. The templates escape all text from scripts, services
and documents. HTML in Markdown is shown as text.
"""
