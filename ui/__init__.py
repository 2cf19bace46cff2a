"""What the pages share: the only Streamlit code outside the pages."""
