"""Views of a graph: text, mermaid and HTML, all drawn from one model.

Rule of this room: `model` alone looks at a graph; the three writers look at the model only.
"""
