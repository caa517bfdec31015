"""Tests of mlm/playground.

Covered elsewhere:
    links, models, theme by test_page
    tabs/batch_html by test_batch_tab
    tabs/compare_html, tabs/compare_tab, tabs/fill_html by test_page
    tabs/learn_html, tabs/learn_tab, tabs/inputs, tabs/render, tabs/tab by test_page
    tabs/score_html by test_score_tab
"""
