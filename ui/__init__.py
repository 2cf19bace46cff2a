"""What the rooms share: the only Streamlit code outside the pages."""
