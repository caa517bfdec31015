# The page in a container. Not tested here: where the project's tests run there is nothing that builds
# containers. The same files on the same Python and requirements are: `make test-space`.
#
#     docker build -t playground .
#     docker run -p 7860:7860 playground                                    # the bundled model
#     docker run -p 7860:7860 -e MLM_MODEL=me/imdb_bert_uncased playground  # one of the Hub

FROM python:3.12-slim

RUN useradd --create-home --uid 1000 page
WORKDIR /home/page/app

COPY mlm/hub/space/requirements.txt requirements.txt
RUN pip install --no-cache-dir -r requirements.txt

COPY LICENSE app.py ./
COPY mlm mlm
USER page

ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    PYTHONUNBUFFERED=1
EXPOSE 7860
CMD ["python", "app.py"]
