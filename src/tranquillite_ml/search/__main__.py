"""One of several processes that work on a study: ``python -m tranquillite_ml.search``, told by its parent."""

from tranquillite_ml.search.working import worker

if __name__ == "__main__":
    worker()
