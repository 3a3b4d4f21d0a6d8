"""The terms of the core @context, v1.8 (annex B of ETSI GS CIM 009), as lists: most are ngsi-ld:<the name itself>.

Written from the standard's own list of terms. All versions of the core's URL mean this one: terms were only added.
"""

from collections.abc import Mapping

from aggregator.api.ngsi.words import NGSI, VOCAB

GEOJSON = "https://purl.org/geojson/vocab#"
DCTERMS = "http://purl.org/dc/terms/"
URLS = (
    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context",
    "http://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context",
    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-context",
)

SAME = """
    Attribute AttributeList ContextSourceIdentity ContextSourceNotification ContextSourceRegistration Date DateTime
    EntityType EntityTypeInfo EntityTypeList GeoProperty JsonProperty LanguageProperty ListProperty ListRelationship
    Notification Property Relationship Subscription TemporalProperty Time VocabProperty accept attributeList
    attributeName attributeNames attributeTypes attributes attrs avg cacheDuration contextSourceAlias
    contextSourceExtras contextSourceInfo contextSourceTimeAt contextSourceUptime cooldown createdAt csf data datasetId
    deletedAt detail distinctCount endAt endTimeAt endpoint entities entity entityCount entityId entityList error
    errors expandValues expiresAt format geoQ geoproperty georel idPattern information instanceId isActive join
    jsonKeys jsons lang lastFailure lastNotification lastSuccess linkedMaps localOnly location management
    managementInterval max min mode modifiedAt notification notificationTrigger notifiedAt notifierInfo notUpdated
    observationInterval observationSpace observedAt omit operationSpace operations pick propertyNames q reason
    receiverInfo refreshRate registrationId registrationName relationshipNames scope scopeQ showChanges startAt status
    stddev subscriptionId subscriptionName success sum sumsq sysAttrs temporalQ tenant throttling timeAt timeInterval
    timeout timeproperty timerel timesFailed timesSent totalCount triggerReason typeList typeName typeNames unchanged
    unitCode updated uri watchedAttributes attributeCount attributeDetails
"""
RENAMED = """
    containedBy=isContainedBy dataset=hasDataset entityMap=hasEntityMap joinLevel=hasJoinLevel json=hasJSON key=hasKey
    languageMap=hasLanguageMap languageMaps=hasLanguageMaps object=hasObject objectList=hasObjectList
    objects=hasObjects objectsLists=hasObjectsLists objectType=hasObjectType previousJson=hasPreviousJson
    previousLanguageMap=hasPreviousLanguageMap previousObject=hasPreviousObject
    previousObjectList=hasPreviousObjectList previousValue=hasPreviousValue previousValueList=hasPreviousValueList
    previousVocab=hasPreviousVocab value=hasValue valueList=hasValueList valueLists=hasValueLists values=hasValues
    vocab=hasVocab vocabs=hasVocabs
"""
OF_GEOJSON = """
    Feature FeatureCollection GeometryCollection LineString MultiLineString MultiPoint MultiPolygon Point Polygon bbox
    coordinates features geometry geometryProperty properties
"""

TERMS: Mapping[str, str] = {
    "ngsi-ld": NGSI,
    "geojson": GEOJSON,
    "id": "@id",
    "type": "@type",
    "description": DCTERMS + "description",
    "title": DCTERMS + "title",
    **{name: NGSI + name for name in SAME.split()},
    **{name: NGSI + uri for name, _, uri in (one.partition("=") for one in RENAMED.split())},
    **{name: GEOJSON + name for name in OF_GEOJSON.split()},
}


def is_core(url: str) -> bool:
    return url.startswith(URLS)


def document() -> dict[str, object]:
    """As JSON-LD, for those who ask for it."""
    return {"@context": {"@version": 1.1, **TERMS, "@vocab": VOCAB}}
