"""The page for people: approvals, runs, documentation, a playground, accounts and usage, rendered on the server.

Every page works without JavaScript. What comes from scripts, services and documents is text to the templates, which
escape it; Markdown becomes HTML without any HTML of its own.
"""
