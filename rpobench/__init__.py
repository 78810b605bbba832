"""rpobench: train and compare personalization methods for black-box language models on the LaMP tasks.

rpobench.run(method="rpo", task="all")
rpobench.get_task("LaMP-3"), get_method, get_model, get_retriever
"""

__version__ = "0.1.0"
