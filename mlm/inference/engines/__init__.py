"""The libraries that run a model for a Predictor.

engine.py        Question, and Engine: the interface of all of them
choice.py        a checkpoint folder opened with the engine that suits it
keras_engine.py  the reference: any encoder, in float32
litert/          the fast one: float32 or int8, starts without TensorFlow
"""
