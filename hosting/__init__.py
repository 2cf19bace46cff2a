"""What a public server needs around the app: limits, headers, logs, metrics, memory. Only `serve.py` imports it.

Start in `guard.py`: it stands between the network and Streamlit, and holds every limit on what one visitor may send.
"""
