"""The states of a run: written as it goes on, sent to the Hub, resumed from.

saver.py     what the run calls between its steps
writer.py    writes a state in the background; checkpoint/run_state.py has its form
pusher.py    sends states to a branch on the Hub in the background
resuming.py  checks that a state is of this run
"""
